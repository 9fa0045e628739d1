//! The embedded database, prepared for a long-lived stream.

use std::path::{Path, PathBuf};

use dynoxide::{Database, DynoxideError, storage::Storage};

use super::options::Data;

/// Every write looks up the stream's last number, which without an index means reading the whole stream; and the stream
/// is never trimmed. Hence an index, and a trigger that only keeps the last records.
const PREPARE: &str = "
CREATE INDEX IF NOT EXISTS zae_stream_order ON _stream_records (table_name, CAST(sequence_number AS INTEGER));
CREATE TRIGGER IF NOT EXISTS zae_stream_trim AFTER INSERT ON _stream_records WHEN NEW.id % 1000 = 0
BEGIN DELETE FROM _stream_records WHERE id <= NEW.id - 50000; END;
";

/// Opens the database, creating it if it is missing. Blocks.
pub(super) fn open(data: &Data) -> Result<Database, DynoxideError> {
    match data {
        Data::File(path) => {
            prepare(path)?;
            Database::new(&path.to_string_lossy())
        }
        Data::Memory => {
            let seed = Seed(std::env::temp_dir().join(format!("zae-local-{}.sqlite", ulid::Ulid::new())));
            prepare(&seed.0)?;
            let database = Database::memory()?;
            database.restore_from(&seed.0.to_string_lossy())?;
            Ok(database)
        }
    }
}

fn prepare(path: &Path) -> Result<(), DynoxideError> {
    let storage = Storage::new(&path.to_string_lossy())?;
    let prepared = storage.conn().execute_batch(PREPARE);
    prepared.map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

/// A file that is removed with this value.
struct Seed(PathBuf);

impl Drop for Seed {
    fn drop(&mut self) {
        for end in ["", "-wal", "-shm"] {
            // It is in the folder for temporary files; a failure is harmless.
            let _ = std::fs::remove_file(format!("{}{end}", self.0.display()));
        }
    }
}
