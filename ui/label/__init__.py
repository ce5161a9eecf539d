"""What the Label page shows.

label_data.py     what to label: a data set, a folder of photos, uploads; its way to other tools
canvas.py         the photo with its mask, and the tools that draw (JavaScript)
editor.py         the open photo: its canvas, saving, claims, proposals to accept, history
tab.py            which browser tab this is, and the photo that it holds open
queue.py          the photos in a row, their states, filter and order
class_changes.py  classes are added, renamed, recoloured, removed
assistant.py      a model proposes masks, or is trained on those that are done
"""
