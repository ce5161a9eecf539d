"""Files of weights: saved and verified, opened whichever program wrote them, exported.

checkpoint_file.py  save, verify and open a checkpoint, ours or foreign
archive.py          reads a file of weights without running anything in it
file_kinds.py       what else a file is, by its first bytes
pickle_outline.py   what a pickle names and holds, read from its opcodes
pickled.py          why a file of pickled objects stays closed, and the line that saves its weights
foreign.py          finds weights under any wrapping and prefix
recognition.py      recognises their model, and the program that named them
fitting.py          checks that they are a whole model: every weight, in its shape
stated.py           what a person says about a file that does not say it
uploads.py          stores files from the browser
export.py           state dict, safetensors, ONNX or torch.export, reopened and compared
"""
