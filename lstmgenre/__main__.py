from lstmgenre.cli import main

main()
