"""A gateway that speaks to the Xyte cloud for the devices around it."""

from importlib.metadata import version

__version__ = version("xyte-gateway")
