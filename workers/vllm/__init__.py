"""Workers around vLLM. Only `llm` and `stat_logger` import it, and only when run."""
