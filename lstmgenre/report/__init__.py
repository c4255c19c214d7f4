"""From the experiments of a recipe to what a reader wants to see: the paper's tables and figures, intervals, tests,
and how it was all made.

    experiments   EXP_ROOT/*                      -> networks, baselines, scores, learning curves, runs
    results       scores                          -> Tables 2 and 4, recalls, McNemar's tests
    thresholds    posteriors and features         -> Figure 3: accuracy over k
    figures       all of these                    -> drawings (needs matplotlib)
    plots         the same                        -> which drawings there are, and what stands below them
    document      all of these                    -> sections of text, tables and figures
    render        sections                        -> Markdown, HTML
    writing       a document                      -> OUT_DIR
"""
