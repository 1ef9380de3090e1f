//! Which files are meant, and what they hold.

use std::ffi::OsStr;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::{Document, json, split, yaml};

/// Largest file, in bytes; a campaign is at most as large as a record.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// All documents of these files, folders and, for `-`, standard input: folders with all folders in
/// them, in the order of their names.
///
/// # Errors
/// A file cannot be read, is no YAML or JSON, or there is nothing.
pub(crate) fn read_all(paths: &[PathBuf]) -> anyhow::Result<Vec<Document>> {
    let mut documents = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            let mut text = String::new();
            std::io::stdin()
                .take(MAX_BYTES)
                .read_to_string(&mut text)
                .context("standard input cannot be read")?;
            documents.extend(read_text("standard input", &text)?);
        } else if path.is_dir() {
            let mut files = Vec::new();
            collect(path, &mut files)?;
            if files.is_empty() {
                bail!(
                    "{} holds no file that ends in .yaml, .yml or .json",
                    path.display()
                );
            }
            for file in files {
                documents.extend(read_file(&file)?);
            }
        } else {
            documents.extend(read_file(path)?);
        }
    }
    if documents.is_empty() {
        let names: Vec<_> = paths
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        bail!("there is no document in {}", names.join(", "));
    }
    Ok(documents)
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let cannot_be_read = || format!("{} cannot be read", folder.display());
    let entries = std::fs::read_dir(folder).with_context(cannot_be_read)?;
    let mut entries = entries
        .collect::<Result<Vec<_>, _>>()
        .with_context(cannot_be_read)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        // A hidden one is an editor's or a version control's.
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        // A link to a folder could lead around in a circle.
        if entry.file_type().with_context(cannot_be_read)?.is_dir() {
            collect(&path, into)?;
        } else if is_document(&path) {
            into.push(path);
        }
    }
    Ok(())
}

fn is_document(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str);
    matches!(extension, Some("yaml" | "yml" | "json"))
}

fn read_file(path: &Path) -> anyhow::Result<Vec<Document>> {
    let name = path.display().to_string();
    let size = std::fs::metadata(path)
        .with_context(|| format!("{name} cannot be read"))?
        .len();
    if size > MAX_BYTES {
        bail!("{name} has {size} bytes; at most {MAX_BYTES} are read");
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("{name} cannot be read"))?;
    read_text(&name, &text)
}

fn read_text(name: &str, text: &str) -> anyhow::Result<Vec<Document>> {
    let text = text.trim_start_matches('\u{feff}');
    let kind = Path::new(name).extension().unwrap_or_default();
    let is_json = kind == "json" || text.trim_start().starts_with(['{', '[']);
    let documents = if is_json && kind != "yaml" && kind != "yml" {
        json::read(text)
    } else {
        yaml::read(text)
    };
    let documents = documents.map_err(|error| anyhow::anyhow!("{name}, {error}"))?;
    let split = |(value, lines)| split(name, value, &lines);
    Ok(documents.into_iter().flat_map(split).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn folders_are_read_to_the_ground_in_the_order_of_names() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("b.yaml", "id: b1\n---\nid: b2\n");
        write("a/deep/c.json", "[{\"id\": \"c1\"},\n {\"id\": \"c2\"}]");
        write("z.yml", "- id: z\n");
        write("notes.md", "id: no");
        write(".hidden.yaml", "id: no");
        write(".git/x.yaml", "id: no");
        let documents = read_all(&[folder.path().to_owned()]).unwrap();
        let ids: Vec<_> = documents
            .iter()
            .map(|document| document.id().unwrap())
            .collect();
        assert_eq!(ids, ["c1", "c2", "b1", "b2", "z"]);
        assert!(documents[1].place("/id").ends_with("a/deep/c.json:2"));
        assert!(documents[3].place("/when").ends_with("b.yaml:3"));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let empty = read_all(&[folder.path().to_owned()])
            .unwrap_err()
            .to_string();
        assert!(
            empty.ends_with("holds no file that ends in .yaml, .yml or .json"),
            "{empty}"
        );
        let absent = folder.path().join("x.yaml");
        let error = format!("{:#}", read_all(&[absent]).unwrap_err());
        assert!(
            error.contains("x.yaml cannot be read: No such file"),
            "{error}"
        );
        let error = read_text("a.yaml", "id: [").unwrap_err().to_string();
        assert!(error.starts_with("a.yaml, line "), "{error}");
        let error = read_text("a.json", "{").unwrap_err().to_string();
        assert!(error.starts_with("a.json, line 1: "), "{error}");
    }

    #[test]
    fn json_without_a_name_is_known_by_its_first_character() {
        let text = " {\"id\": \"\\ud83d\\ude00\"}";
        assert_eq!(
            read_text("standard input", text).unwrap()[0].value,
            json!({"id": "😀"})
        );
        let flow = "{id: a, reward: {amount: 1.0}}";
        assert_eq!(
            read_text("a.yaml", flow).unwrap()[0].value,
            json!({"id": "a", "reward": {"amount": "1.0"}})
        );
    }
}
