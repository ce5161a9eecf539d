# The dashboard in a container, on the CPU:
#   docker build -t atrous .
#   docker run --init -p 127.0.0.1:8501:8501 -v atrous:/data -v /path/to/photos:/photos:ro atrous
# On a GPU, with torch from the index that fits its driver:
#   docker build -t atrous --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130 .
#   docker run --init --gpus all ...
FROM python:3.13-slim-bookworm

# Bytecode is made once here: the user below may not write beside the code.
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore \
    PYTHONUNBUFFERED=1 \
    ATROUS_HOME=/data \
    TORCH_HOME=/data/torch

WORKDIR /app

# torch and torchvision are one pair and come from one index; what they need comes with the rest.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
COPY requirements.txt constraints.txt ./
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --no-deps --index-url "$TORCH_INDEX" -c constraints.txt torch torchvision \
    && pip install -r requirements.txt -c constraints.txt

COPY .streamlit .streamlit
COPY streamlit_app.py ./
COPY core core
COPY ui ui
COPY pages pages
COPY checkpoints/starter checkpoints/starter
RUN python -m compileall -q core ui pages streamlit_app.py \
    && useradd --create-home --uid 1000 atrous \
    && install --directory --owner atrous --group atrous /data

USER 1000:1000
VOLUME /data
EXPOSE 8501

HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=3)"]

# Within the container every network is the container's own: publish the port to 127.0.0.1, as above. The name that is
# printed is set, since Streamlit would ask a server elsewhere for this machine's address in order to print it.
CMD ["python", "-m", "streamlit", "run", "streamlit_app.py", "--server.address=0.0.0.0", "--server.headless=true", \
     "--browser.serverAddress=localhost"]
