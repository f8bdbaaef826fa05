"""Audits: what a period's signed studies say of the models, the report of it, the business case, and exports."""
