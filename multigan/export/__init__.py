"""Trained generators for programs that do not have multigan: ONNX, `torch.export`, a page, a Space."""
