"""The table of receipts."""
