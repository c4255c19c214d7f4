"""Time scattering: the banks (`filters`), their fast execution (`transform`), the models' input (`features`)."""
