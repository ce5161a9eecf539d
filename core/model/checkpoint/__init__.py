"""Files of weights: saved and verified, opened whoever wrote them, exported.

checkpoint_file.py  save, verify, open: ours, and through the next modules those from elsewhere
archive.py          a file of weights -> what it holds, without running anything in it
file_kinds.py       what else a file is, by how it begins
pickle_outline.py   what a pickle would make, read from its opcodes
pickled.py          why a file of pickled objects stays closed, and the line that saves its weights
plain_data.py       settings and NumPy's numbers beside the weights, opened as data
foreign.py          weights under any wrapping and any prefix
recognition.py      which model they belong to, and which program named them
fitting.py          whether they are a whole model: every weight there, in its shape
stated.py           what a person says of a file that does not say it
uploads.py          files that come through the browser
export.py           state dict, safetensors, ONNX or torch.export, reopened and compared
"""
