"""Studies: tables and pictures behind the project's defaults and claims (``svpg study``)."""
