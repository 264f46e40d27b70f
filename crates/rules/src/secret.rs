//! Rule files that stay secret in git: age encryption. Plain text is never written to disk.

use std::{
    io::{Read, Write},
    path::{Path, PathBuf},
};

use age::{
    Decryptor, Encryptor, IdentityFile,
    armor::{ArmoredReader, ArmoredWriter, Format},
};

/// Why something cannot be encrypted or decrypted.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The identity file cannot be used.
    #[error("the identity file {path} cannot be used: {reason}")]
    Identity {
        /// Its path.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A recipient is no age public key.
    #[error(
        "`{recipient}` is no age recipient: {reason}; write a public key (age1...), as age-keygen prints it"
    )]
    Recipient {
        /// As given.
        recipient: String,
        /// Why.
        reason: String,
    },
    /// No identity fits, or the file is damaged.
    #[error("cannot be decrypted: {0}")]
    Decrypt(String),
    /// Encryption failed.
    #[error("cannot be encrypted: {0}")]
    Encrypt(String),
}

/// Decrypts bytes, armoured or not, with the identities of a file.
pub fn decrypt(bytes: &[u8], identity: &Path) -> Result<Vec<u8>, SecretError> {
    let unusable = |reason: String| SecretError::Identity {
        path: identity.to_owned(),
        reason,
    };
    let identities = IdentityFile::from_file(identity.display().to_string())
        .map_err(|error| unusable(error.to_string()))?
        .into_identities()
        .map_err(|error| unusable(error.to_string()))?;
    let damaged = |error: String| SecretError::Decrypt(error);
    let mut binary = Vec::new();
    ArmoredReader::new(bytes)
        .read_to_end(&mut binary)
        .map_err(|error| damaged(error.to_string()))?;
    if !has_header(&binary) {
        let message = format!(
            "it is no age file, or its header is longer than {} KiB",
            MOST_HEADER >> 10
        );
        return Err(damaged(message));
    }
    let decryptor =
        Decryptor::new_buffered(binary.as_slice()).map_err(|error| damaged(error.to_string()))?;
    let mut reader = decryptor
        .decrypt(
            identities
                .iter()
                .map(|identity| identity.as_ref() as &dyn age::Identity),
        )
        .map_err(|error| damaged(error.to_string()))?;
    let mut plain = Vec::new();
    reader
        .read_to_end(&mut plain)
        .map_err(|error| damaged(error.to_string()))?;
    Ok(plain)
}

/// Longest header that is read, and most lines in it: enough for 250 recipients. The library parses a header anew from
/// its beginning for each further line, so that a damaged one without an end would take hours.
const MOST_HEADER: usize = 32 << 10;
const MOST_LINES: usize = 512;

/// Whether the line that ends a header comes early enough.
fn has_header(binary: &[u8]) -> bool {
    let head = &binary[..binary.len().min(MOST_HEADER)];
    let mut lines = head.split(|byte| *byte == b'\n').take(MOST_LINES);
    lines.any(|line| line.starts_with(b"---"))
}

/// Encrypts bytes for all recipients (`age1...`), armoured.
pub fn encrypt(bytes: &[u8], recipients: &[String]) -> Result<Vec<u8>, SecretError> {
    let keys: Vec<age::x25519::Recipient> = recipients
        .iter()
        .map(|recipient| {
            recipient
                .parse()
                .map_err(|reason: &str| SecretError::Recipient {
                    recipient: recipient.clone(),
                    reason: reason.to_owned(),
                })
        })
        .collect::<Result<_, _>>()?;
    let failed = |error: String| SecretError::Encrypt(error);
    let encryptor = Encryptor::with_recipients(keys.iter().map(|key| key as &dyn age::Recipient))
        .map_err(|error| failed(error.to_string()))?;
    let mut output = Vec::new();
    let armour = ArmoredWriter::wrap_output(&mut output, Format::AsciiArmor)
        .map_err(|error| failed(error.to_string()))?;
    let mut writer = encryptor
        .wrap_output(armour)
        .map_err(|error| failed(error.to_string()))?;
    writer
        .write_all(bytes)
        .map_err(|error| failed(error.to_string()))?;
    writer
        .finish()
        .and_then(ArmoredWriter::finish)
        .map_err(|error| failed(error.to_string()))?;
    Ok(output)
}
