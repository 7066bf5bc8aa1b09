"""Still pictures of the views as SVG, made without a browser: for GitHub, printing, and wherever widgets do not run."""
