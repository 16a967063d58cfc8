"""The pages: blueprints, templates and static files. Nothing is loaded from other hosts."""
