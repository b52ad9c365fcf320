"""Inference functions for ArcGIS: copied into packages as they stand, never imported here.

Each is complete in itself and needs numpy and torch alone.
"""
