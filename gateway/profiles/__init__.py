"""Device profiles as all adapters share them: files, common fields, settings, commands and tools.

An adapter imports them from `gateway.adapter`.
"""
