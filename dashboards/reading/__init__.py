"""What the pages know: windows of the journal, read with SQL and never written."""
