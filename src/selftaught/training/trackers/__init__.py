"""Where a run also logs its metrics, beside its own CSV files: TensorBoard, W&B, MLflow, Trackio."""
