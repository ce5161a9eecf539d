"""What several pages share; each page has a folder of its own.

page.py         how a page opens, its links, the one place that shows errors
words.py        percent, points, states; Markdown escaped
address.py      keeps what a page shows in its query parameters, and hands them on to links
cached.py       bounded caches
charts.py       records -> figures, of one run or several
clickable.py    figures whose marks filter photos
components.py   what runs in the browser (browser/): components, and the styles of pages
checkpoints.py  the checkpoints to choose from
sources.py      the demo, VOC 2012 or a folder; downloads
pictures.py     photos and masks: thumbnails, rows, cards to click, and the slider between before and after
legend.py       which colour is which class
downloads.py    a button that makes and saves a file
internals.py    the parts of Streamlit that are not its public API, and the public way without them
job_view.py     the progress of a job
home/           Home
dataset/        the Dataset page
train/          the Train page; Home and Label show its runs too
compare/        the Compare page; Home and Present use it too
report/         the form of a report, on Compare and Train
present/        the Present page
segment/        the Segment page; Home and Present use it too
label/          the Label page
"""
