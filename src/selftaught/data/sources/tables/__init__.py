"""What sources of rows share: Parquet, Arrow and the Hugging Face hub."""
