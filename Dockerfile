# The server alone: without TensorFlow, training data and corpora.
#
#   docker build -t speech-emotion .
#   docker run --read-only --tmpfs /tmp -p 127.0.0.1:8000:8000 -e SER_TOKEN=secret speech-emotion
FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 SER_CACHE_DIR=/tmp/ser
WORKDIR /app

COPY requirements.txt requirements-serve.txt ./
RUN grep -vE '^(tensorflow|tensorboard|ipywidgets)' requirements.txt > requirements-small.txt \
    && pip install -r requirements-small.txt -r requirements-serve.txt

COPY *.py LICENSE ./
COPY models ./models
COPY page ./page
RUN python -m compileall -q . && python serve.py --help > /dev/null

RUN useradd --system --uid 10001 ser
USER 10001
EXPOSE 8000
HEALTHCHECK --start-period=60s CMD ["python", "-c", "import urllib.request as web; web.urlopen('http://127.0.0.1:8000/healthz', timeout=5)"]
CMD ["python", "serve.py", "--host", "0.0.0.0", "--no-browser"]
