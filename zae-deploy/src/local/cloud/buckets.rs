//! Buckets stored as folders, and objects as files in them.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Component, Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use super::refusal::Refusal;

/// The buckets in one folder, and those with a folder elsewhere.
#[derive(Debug)]
pub(super) struct LocalBuckets {
    root: BucketRoot,
    elsewhere: Mutex<BTreeMap<String, PathBuf>>,
}

/// The folder, which is removed with this value unless it is kept.
#[derive(Debug)]
pub(super) enum BucketRoot {
    Kept(PathBuf),
    Temporary(PathBuf),
}

impl Drop for BucketRoot {
    fn drop(&mut self) {
        if let Self::Temporary(path) = self {
            // It is in the folder for temporary files; a failure is harmless.
            let _ = fs::remove_dir_all(path);
        }
    }
}

/// An object: its key, size, and time of writing.
pub(super) struct Object {
    pub(super) key: String,
    pub(super) size: u64,
    pub(super) modified: Option<std::time::SystemTime>,
}

fn missing_bucket() -> Refusal {
    Refusal::new("NoSuchBucket", "The specified bucket does not exist")
}

fn failed(error: &io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::NotFound => Refusal::new("NoSuchKey", "The specified key does not exist."),
        _ => Refusal::new("InternalError", error.to_string()),
    }
}

/// Returns true if `text` is a valid name of one entry of a folder on every system.
fn is_plain(text: &str) -> bool {
    let one = matches!(Path::new(text).components().collect::<Vec<_>>()[..], [Component::Normal(name)] if name == text);
    one && !text.contains(['\\', ':', '\0'])
}

impl LocalBuckets {
    pub(super) fn new(root: BucketRoot) -> Self {
        Self { root, elsewhere: Mutex::default() }
    }

    /// Returns the path of a bucket, existing or not.
    fn path(&self, bucket: &str) -> PathBuf {
        let elsewhere = self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner).get(bucket).cloned();
        let (BucketRoot::Kept(root) | BucketRoot::Temporary(root)) = &self.root;
        elsewhere.unwrap_or_else(|| root.join(bucket))
    }

    /// Returns the folder of an existing bucket.
    pub(super) fn folder(&self, bucket: &str) -> Option<PathBuf> {
        let is_there = is_plain(bucket) && (self.path(bucket).is_dir() || self.is_elsewhere(bucket));
        is_there.then(|| self.path(bucket))
    }

    fn is_elsewhere(&self, bucket: &str) -> bool {
        self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner).contains_key(bucket)
    }

    fn existing(&self, bucket: &str) -> Result<PathBuf, Refusal> {
        self.folder(bucket).ok_or_else(missing_bucket)
    }

    pub(super) fn create(&self, bucket: &str) -> Result<(), Refusal> {
        if !is_plain(bucket) || bucket.len() > 63 {
            return Err(Refusal::new("InvalidBucketName", "The specified bucket is not valid."));
        }
        fs::create_dir_all(self.path(bucket)).map_err(|error| failed(&error))
    }

    /// Stores the objects of a bucket in `folder`, which is created with the first of them.
    pub(super) fn keep_in(&self, bucket: &str, folder: &Path) {
        self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner).insert(bucket.to_owned(), folder.to_owned());
    }

    /// Removes an empty bucket.
    pub(super) fn remove(&self, bucket: &str) -> Result<(), Refusal> {
        let folder = self.existing(bucket)?;
        if !self.list(bucket, "")?.is_empty() {
            return Err(Refusal::new("BucketNotEmpty", "The bucket you tried to delete is not empty"));
        }
        self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner).remove(bucket);
        match remove_empty(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&error)),
            _ => Ok(()),
        }
    }

    pub(super) fn names(&self) -> Vec<String> {
        let (BucketRoot::Kept(root) | BucketRoot::Temporary(root)) = &self.root;
        let entries = fs::read_dir(root).into_iter().flatten().flatten();
        let found =
            entries.filter(|entry| entry.path().is_dir()).filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = found.collect();
        names.extend(self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned());
        names.sort();
        names.dedup();
        names
    }

    fn file(&self, bucket: &str, key: &str) -> Result<PathBuf, Refusal> {
        let folder = self.existing(bucket)?;
        if !key.split('/').all(is_plain) {
            return Err(Refusal::new("NoSuchKey", "the key is not a valid file name in a local stack"));
        }
        Ok(folder.join(key))
    }

    pub(super) fn get(&self, bucket: &str, key: &str) -> Result<Vec<u8>, Refusal> {
        fs::read(self.file(bucket, key)?).map_err(|error| failed(&error))
    }

    pub(super) fn head(&self, bucket: &str, key: &str) -> Result<Object, Refusal> {
        let data = fs::metadata(self.file(bucket, key)?).map_err(|error| failed(&error))?;
        Ok(Object { key: key.to_owned(), size: data.len(), modified: data.modified().ok() })
    }

    pub(super) fn put(&self, bucket: &str, key: &str, body: &[u8]) -> Result<(), Refusal> {
        let file = self.file(bucket, key)?;
        let write = || -> io::Result<()> {
            fs::create_dir_all(file.parent().unwrap_or(&file))?;
            fs::write(&file, body)
        };
        write().map_err(|error| failed(&error))
    }

    pub(super) fn delete(&self, bucket: &str, key: &str) -> Result<(), Refusal> {
        match fs::remove_file(self.file(bucket, key)?) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&error)),
            _ => Ok(()),
        }
    }

    /// Lists the objects whose keys begin with `prefix`, by key.
    pub(super) fn list(&self, bucket: &str, prefix: &str) -> Result<Vec<Object>, Refusal> {
        let folder = self.existing(bucket)?;
        let mut objects = Vec::new();
        collect(&folder, "", &mut objects);
        objects.retain(|object| object.key.starts_with(prefix));
        objects.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(objects)
    }
}

fn collect(folder: &Path, start: &str, objects: &mut Vec<Object>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (Ok(name), Ok(kind)) = (entry.file_name().into_string(), entry.file_type()) else { continue };
        let key = format!("{start}{name}");
        if kind.is_dir() {
            collect(&entry.path(), &format!("{key}/"), objects);
        } else if let (true, Ok(data)) = (kind.is_file(), entry.metadata()) {
            objects.push(Object { key, size: data.len(), modified: data.modified().ok() });
        }
    }
}

/// Removes a folder that contains nothing but empty folders.
fn remove_empty(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        remove_empty(&entry?.path())?;
    }
    fs::remove_dir(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_its_folder_is_reached() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("secret"), "x").unwrap();
        let buckets = LocalBuckets::new(BucketRoot::Kept(folder.path().join("s3")));
        buckets.create("b").unwrap();
        for key in ["../../secret", "..", "a/../../secret", "/secret", "", "a//b", "a\\b", "./a"] {
            assert_eq!(buckets.get("b", key).unwrap_err().code, "NoSuchKey", "{key}");
            assert!(buckets.put("b", key, b"y").is_err(), "{key}");
        }
        for bucket in ["..", ".", "", "a/b", "../s3"] {
            assert!(buckets.create(bucket).is_err() && buckets.list(bucket, "").is_err(), "{bucket}");
        }
        buckets.put("b", "a/c.zip", b"z").unwrap();
        assert_eq!(buckets.remove("b").unwrap_err().code, "BucketNotEmpty");
        assert_eq!(buckets.list("b", "a/").unwrap()[0].key, "a/c.zip");
        buckets.delete("b", "a/c.zip").unwrap();
        buckets.remove("b").unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("secret")).unwrap(), "x");
    }
}
