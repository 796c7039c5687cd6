# CPU:   docker build -t concat-id-studio .
# CUDA:  docker build -t concat-id-studio --build-arg TORCH_BACKEND=cu130 .
# Run:   docker run -p 7860:7860 -v concat-id:/home/studio/app/outputs -v concat-id-cache:/home/studio/.cache \
#            concat-id-studio   (CUDA: add --gpus all)
# The model (CONCAT_ID_PRESET) and limits for visitors (CONCAT_ID_RUNS_PER_HOUR, ...: concat_id/ui/README.md) are set by -e.
FROM python:3.11-slim

# What opencv-python, which insightface pulls in, links to.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*

ARG TORCH_BACKEND=cpu
WORKDIR /home/studio/app
COPY requirements.txt .
RUN pip install --no-cache-dir uv==0.13.8 \
    && uv pip install --system --no-cache --torch-backend="${TORCH_BACKEND}" -r requirements.txt

RUN useradd --create-home --uid 1000 studio \
    && mkdir -p outputs /home/studio/.cache \
    && chown -R studio:studio /home/studio
COPY --chown=studio:studio . .
USER 1000
VOLUME ["/home/studio/app/outputs"]

ENV GRADIO_SERVER_NAME=0.0.0.0 \
    GRADIO_SERVER_PORT=7860 \
    GRADIO_ANALYTICS_ENABLED=False \
    PYTHONUNBUFFERED=1
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/', timeout=4)"]
CMD ["python", "app.py"]
