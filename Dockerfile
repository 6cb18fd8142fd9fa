# The page on a CPU: docker build -t moebius . && docker run -p 7860:7860 -v moebius-weights:/home/page/.cache moebius
FROM python:3.12-slim

RUN useradd --create-home --uid 1000 page && install -d -o page /home/page/.cache
WORKDIR /home/page/moebius
COPY requirements.txt .
# torch's CPU wheels spare over 4 GB of CUDA libraries
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu -r requirements.txt
COPY app.py pyproject.toml README.md LICENSE ./
COPY moebius ./moebius

USER 1000
ENV GRADIO_SERVER_NAME=0.0.0.0
EXPOSE 7860
CMD ["python", "app.py", "--port", "7860"]
