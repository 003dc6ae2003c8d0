"""All session state and every cache of the dashboard."""
