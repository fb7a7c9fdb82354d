"""A web page that runs exported files in the browser: nothing installed, nothing uploaded."""
