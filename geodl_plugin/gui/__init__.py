"""Docks, dialogs and the thread that follows a worker; never imported headless."""
