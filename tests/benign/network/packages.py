"""Packages that hold nothing, and the registries that pip, npm and apt install them from, as files below FOLDER.

    packages.py FOLDER COUNT"""

import base64
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile

FOLDER, COUNT = sys.argv[1], int(sys.argv[2])
names = [f"plain{number}" for number in range(1, COUNT + 1)]


def write(path, content):
    path = os.path.join(FOLDER, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)


def wheel(name):
    files = {
        f"{name}.py": b"",
        f"{name}-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{name}-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    digests = {path: base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode() for path, content in files.items()}
    lines = [f"{path},sha256={digests[path]},{len(content)}" for path, content in files.items()]
    lines.append(f"{name}-1.0.dist-info/RECORD,,")
    files[f"{name}-1.0.dist-info/RECORD"] = "\n".join(lines).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return packed.getvalue()


def tarball(name):
    packed, content = io.BytesIO(), json.dumps({"name": name, "version": "1.0.0"}).encode()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        file = tarfile.TarInfo("package/package.json")
        file.size = len(content)
        archive.addfile(file, io.BytesIO(content))
    return packed.getvalue()


for number, name in enumerate(names):
    file = f"{name}-1.0-py3-none-any.whl"
    write(f"pypi/simple/{name}/index.html", f'<a href="/files/{file}">{file}</a>'.encode())
    write(f"pypi/files/{file}", wheel(name))

    # Each third package lies elsewhere, as binaries of packages do.
    host = f"site{number}" if number % 3 == 0 else "npm"
    content = tarball(name)
    write(f"{host.rstrip('0123456789')}/tarballs/{name}.tgz", content)
    dist = {"tarball": f"http://{host}.test/tarballs/{name}.tgz", "shasum": hashlib.sha1(content).hexdigest()}
    version = {"name": name, "version": "1.0.0", "dist": dist}
    write(f"npm/{name}", json.dumps({"name": name, "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}).encode())

    control = f"Package: {name}\nVersion: 1.0\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: nothing\n"
    write(f"debs/{name}/DEBIAN/control", control.encode())
    write(f"apt/{name}.deb", b"")
    path = os.path.join(FOLDER, f"apt/{name}.deb")
    subprocess.run(["dpkg-deb", "--build", os.path.join(FOLDER, f"debs/{name}"), path], check=True, stdout=subprocess.DEVNULL)
    content = open(path, "rb").read()
    with open(os.path.join(FOLDER, "apt/Packages"), "a") as index:
        index.write(f"{control}Filename: ./{name}.deb\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n\n")
with open(os.path.join(FOLDER, "names"), "w") as file:
    file.write(" ".join(names))
