# An image with selftaught as its command.
#
#   docker build -t selftaught .                                for CPUs
#   docker build -t selftaught --build-arg TORCH=cu128 .        for NVIDIA GPUs; run it with --gpus all
#   docker run --rm -v "$PWD:/work" -v selftaught:/cache selftaught pretrain photos --budget 10m --out runs/first
ARG PYTHON=3.12
FROM python:${PYTHON}-slim

# Index of PyTorch's wheels: cpu, cu126, cu128 ...
ARG TORCH=cpu
RUN pip install --no-cache-dir torch torchvision --index-url https://download.pytorch.org/whl/${TORCH}

WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN pip install --no-cache-dir . && rm -rf /source

# Packed data and downloaded weights outlive the container in a volume.
ENV SELFTAUGHT_CACHE=/cache HF_HOME=/cache/huggingface TORCH_HOME=/cache/torch
VOLUME /cache
WORKDIR /work
ENTRYPOINT ["selftaught"]
CMD ["--help"]
