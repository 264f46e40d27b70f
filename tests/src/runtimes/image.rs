//! An image without a registry: busybox in an archive as `docker save` makes them, which all runtimes take.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::json;

use super::Place;

/// Its name. It serves as the image of pods' own containers too.
pub const IMAGE: &str = "hayward.test/busybox:1";

/// The archive, which is written once.
pub(crate) fn archive(place: &Place) -> PathBuf {
    let archive = place.path("image.tar");
    if archive.exists() {
        return archive;
    }
    let (layer, image) = (place.path("layer"), place.path("image"));
    let bin = layer.join("bin");
    fs::create_dir_all(&bin).expect("a folder");
    fs::create_dir_all(&image).expect("a folder");
    fs::copy("/bin/busybox", bin.join("busybox"))
        .expect("busybox-static, which tools/install-test-deps installs");
    for name in ["sh", "sleep", "true"] {
        symlink("busybox", bin.join(name)).expect("a link");
    }
    for folder in ["dev", "etc", "proc", "sys", "tmp"] {
        fs::create_dir_all(layer.join(folder)).expect("a folder");
    }
    tar(&layer, &image.join("layer.tar"));
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let config = json!({
        "architecture": architecture,
        "os": "linux",
        "config": {"Cmd": ["/bin/sleep", "600"]},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", digest(&image.join("layer.tar")))]},
        "history": [{"created_by": "a test"}],
    });
    fs::write(image.join("config.json"), config.to_string()).expect("a file");
    let name = format!("{}.json", digest(&image.join("config.json")));
    fs::rename(image.join("config.json"), image.join(&name)).expect("a file");
    let manifest = json!([{"Config": name, "RepoTags": [IMAGE], "Layers": ["layer.tar"]}]);
    fs::write(image.join("manifest.json"), manifest.to_string()).expect("a file");
    tar(&image, &archive);
    archive
}

fn tar(folder: &Path, file: &Path) {
    let status = Command::new("tar")
        .args(["--create", "--owner=0", "--group=0", "--file"])
        .arg(file)
        .arg("--directory")
        .arg(folder)
        .arg(".")
        .status();
    assert!(status.expect("tar").success());
}

fn digest(file: &Path) -> String {
    let output = Command::new("sha256sum").arg(file).output();
    let output = output.expect("sha256sum").stdout;
    let text = String::from_utf8_lossy(&output);
    text.split(' ').next().expect("a digest").to_owned()
}
