//! The container image: the static binary and nothing else, as an archive that `ctr images import`, `podman load`,
//! `docker load` and `skopeo copy` take. Made without a daemon, and the same bytes from the same binary.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

const NAME: &str = "ghcr.io/hayward/hayward";

/// What to make of what.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A static release binary.
    #[arg(long)]
    binary: PathBuf,
    /// The archive to write.
    #[arg(long)]
    output: PathBuf,
    /// The name that it has after an import.
    #[arg(long, default_value = NAME)]
    name: String,
    /// Its tag.
    #[arg(long, default_value = env!("CARGO_PKG_VERSION"))]
    tag: String,
}

/// Writes the archive.
///
/// # Errors
/// Where the binary cannot be read, or the archive not written.
pub fn run(arguments: &Arguments) -> Result<()> {
    let binary = fs::read(&arguments.binary)
        .with_context(|| format!("{}: build it with `make build`", arguments.binary.display()))?;
    let archive = archive(&binary, &format!("{}:{}", arguments.name, arguments.tag))?;
    fs::write(&arguments.output, archive)
        .with_context(|| format!("cannot write {}", arguments.output.display()))
}

/// An archive that is both an OCI image layout and what `docker save` writes: they share the files.
///
/// # Errors
/// Where the binary is no ELF file for x86-64 or arm64, or the reference has no tag.
pub fn archive(binary: &[u8], reference: &str) -> Result<Vec<u8>> {
    let layer = layer(binary)?;
    let config = config(architecture(binary)?, &layer);
    let config = serde_json::to_vec(&config)?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": described("application/vnd.oci.image.config.v1+json", &config),
        "layers": [described("application/vnd.oci.image.layer.v1.tar", &layer)],
    });
    let manifest = serde_json::to_vec(&manifest)?;
    let mut described = described("application/vnd.oci.image.manifest.v1+json", &manifest);
    let (_, tag) = reference.rsplit_once(':').context("a name with a tag")?;
    described["annotations"] = json!({
        "io.containerd.image.name": reference,
        "org.opencontainers.image.ref.name": tag,
    });
    let index = json!({"schemaVersion": 2, "manifests": [described]});
    let docker = json!([{
        "Config": blob(&config),
        "RepoTags": [reference],
        "Layers": [blob(&layer)],
    }]);
    let mut archive = Builder::new(Vec::new());
    for folder in ["blobs", "blobs/sha256"] {
        add(&mut archive, folder, None, 0o755)?;
    }
    for bytes in [&layer, &config, &manifest] {
        add(&mut archive, &blob(bytes), Some(bytes), 0o644)?;
    }
    for (name, value) in [
        ("oci-layout", json!({"imageLayoutVersion": "1.0.0"})),
        ("index.json", index),
        ("manifest.json", docker),
    ] {
        add(
            &mut archive,
            name,
            Some(&serde_json::to_vec(&value)?),
            0o644,
        )?;
    }
    Ok(archive.into_inner()?)
}

/// The file system: the binary, and folders to mount things at, since the root may be read-only.
fn layer(binary: &[u8]) -> Result<Vec<u8>> {
    let mut layer = Builder::new(Vec::new());
    add(&mut layer, "hayward", Some(binary), 0o755)?;
    for folder in [
        "etc",
        "etc/hayward",
        "run",
        "run/hayward",
        "tmp",
        "var",
        "var/lib",
        "var/lib/hayward",
    ] {
        add(&mut layer, folder, None, 0o755)?;
    }
    Ok(layer.into_inner()?)
}

/// A file, or a folder where there are no bytes.
fn add(archive: &mut Builder<Vec<u8>>, name: &str, bytes: Option<&[u8]>, mode: u32) -> Result<()> {
    let mut header = Header::new_ustar();
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    let bytes = bytes.unwrap_or_else(|| {
        header.set_entry_type(EntryType::Directory);
        &[]
    });
    header.set_size(bytes.len() as u64);
    archive.append_data(&mut header, name, bytes)?;
    Ok(())
}

fn config(architecture: &str, layer: &[u8]) -> Value {
    json!({
        "architecture": architecture,
        "os": "linux",
        "config": {
            "Entrypoint": ["/hayward"],
            "Cmd": ["run"],
            "Env": ["PATH=/"],
            "WorkingDir": "/",
            "Labels": {
                "org.opencontainers.image.title": "hayward",
                "org.opencontainers.image.description": "Keeps public compute fair",
                "org.opencontainers.image.version": env!("CARGO_PKG_VERSION"),
                "org.opencontainers.image.licenses": "Apache-2.0",
            },
        },
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", digest(layer))]},
        "history": [{"created_by": "cargo xtask image"}],
    })
}

/// What the binary runs on, by its ELF header (e_machine).
fn architecture(binary: &[u8]) -> Result<&'static str> {
    match binary.get(..20) {
        Some([0x7f, b'E', b'L', b'F', .., 0x3e, 0]) => Ok("amd64"),
        Some([0x7f, b'E', b'L', b'F', .., 0xb7, 0]) => Ok("arm64"),
        _ => bail!("the binary is for neither x86-64 nor arm64"),
    }
}

fn described(kind: &str, bytes: &[u8]) -> Value {
    let digest = format!("sha256:{}", digest(bytes));
    json!({"mediaType": kind, "digest": digest, "size": bytes.len()})
}

fn blob(bytes: &[u8]) -> String {
    format!("blobs/sha256/{}", digest(bytes))
}

fn digest(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
