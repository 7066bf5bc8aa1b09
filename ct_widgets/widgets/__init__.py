"""Views of values for notebooks and pages; `ct_widgets` itself exports the widgets, each loaded when first used."""
