"""The field's figures: AUC and AP over frames, detection mAP, by class."""
