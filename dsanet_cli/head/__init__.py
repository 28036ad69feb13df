"""The DSANet head: from snippet features to anomaly scores and classes.

Source of every equation: "Learning to Tell Apart: Weakly Supervised Video Anomaly Detection via
Disentangled Semantic Alignment" (AAAI 2026, arXiv 2511.10334) and the code its authors released;
where the two differ, the released code is followed, so that its checkpoints give the same numbers.

Shapes: B videos, T snippets of 16 frames, D feature width, C classes of which class 0 is normal.
"""
