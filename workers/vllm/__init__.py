"""Workers around vLLM. Only `llm`, `stat_logger` and `kv_events` import it, and only when run."""
