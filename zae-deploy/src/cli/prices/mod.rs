//! `prices …`: the price book for charging calls.

mod book;
mod rows;

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use zae_llm::prices::{BookError, Price, PriceBook, PriceKind};

use self::{
    book::{BookPlace, cannot, parse},
    rows::{ListedPrices, PriceRow, changes},
};
use super::{CliError, Context, args::NamespaceArgs};

/// The price book that programs charge money by: a file, or in the table.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Programs read a file with `Prices::from_file`, and the table with
`Prices::from_table`. They can read either again, so changes need no restart.

Examples:
  zae-deploy prices import --from litellm model_prices_and_context_window.json
  zae-deploy prices set gpt-5 --price input=1.25 --price output=10 --source us
  zae-deploy prices import --from book prices.json --in-table
  zae-deploy prices list gpt-5 --in-table --namespace tenant-alpha")]
pub(crate) enum Group {
    /// Take prices from LiteLLM's map, from models.dev, or from another book
    #[command(after_help = "\
Examples:
  zae-deploy prices import --from litellm model_prices_and_context_window.json
  zae-deploy prices import --from models-dev api.json --provider openai
  zae-deploy prices import --from bundled --in-table
  zae-deploy prices import --from table --file prices.json")]
    Import(Import),
    /// Show the prices of a book
    #[command(after_help = "\
Examples:
  zae-deploy prices list
  zae-deploy prices list claude --file prices.json")]
    List {
        /// Only models whose names begin with this text
        model: Option<String>,
        #[command(flatten)]
        file: BookArgs,
    },
    /// Show the differences to another book
    #[command(after_help = "\
Examples:
  zae-deploy prices diff new.json --file prices.json --detailed-exitcode
  zae-deploy prices diff prices.json --in-table")]
    Diff {
        /// The other book
        other: PathBuf,
        #[command(flatten)]
        file: BookArgs,
        /// Exit with code 2 if there are differences
        #[arg(long)]
        detailed_exitcode: bool,
    },
    /// Set the prices of a model
    #[command(after_help = "\
Examples:
  zae-deploy prices set gpt-5 --price input=1.25 --price output=10 --source us
  zae-deploy prices set m --price input=3 --from-date 2027-01-01 --source list")]
    Set(SetPrices),
}

#[derive(Args, Debug)]
pub(crate) struct BookArgs {
    /// The price book
    #[arg(short = 'f', long, value_name = "FILE", default_value = "prices.json", env = "ZAE_PRICES")]
    file: PathBuf,
    /// The price book of the namespace in the table, instead of a file
    #[arg(long)]
    in_table: bool,
    #[command(flatten)]
    namespace: NamespaceArgs,
}

impl BookArgs {
    /// Returns the book to read.
    async fn to_read(&self, cx: &Context) -> Result<BookPlace, CliError> {
        if self.in_table { Ok(BookPlace::Table(cx.repository(&self.namespace).await?)) } else { Ok(self.to_file()) }
    }

    /// Returns the book to change.
    async fn to_write(&self, cx: &Context) -> Result<BookPlace, CliError> {
        if self.in_table {
            Ok(BookPlace::Table(cx.repository_to_write(&self.namespace).await?))
        } else {
            Ok(self.to_file())
        }
    }

    fn to_file(&self) -> BookPlace {
        BookPlace::File(self.file.clone())
    }
}

/// The origin of an import.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Origin {
    /// LiteLLM's model_prices_and_context_window.json
    Litellm,
    /// The api.json of models.dev
    ModelsDev,
    /// Another price book
    Book,
    /// The price book of the namespace in the table
    Table,
    /// The few prices bundled with this program
    Bundled,
}

#[derive(Args, Debug)]
pub(crate) struct Import {
    /// The file with the prices; not needed for the bundled ones and the table's
    path: Option<PathBuf>,
    /// The format of that file
    #[arg(long = "from", value_name = "FORMAT")]
    origin: Origin,
    /// Only models of this provider, by its name in models.dev; if repeated, the first takes precedence
    #[arg(long = "provider", value_name = "NAME")]
    providers: Vec<String>,
    #[command(flatten)]
    file: BookArgs,
}

#[derive(Args, Debug)]
pub(crate) struct SetPrices {
    /// The model, or the beginning of its name followed by *
    model: String,
    /// A price: KIND=DOLLARS, per million tokens, or each for tool_call, second, image and search_unit
    #[arg(long = "price", value_name = "KIND=DOLLARS", required = true)]
    prices: Vec<String>,
    /// The source of the prices
    #[arg(long)]
    source: String,
    /// The day from which they apply, at midnight UTC, or an instant
    #[arg(long, value_name = "DATE")]
    from_date: Option<String>,
    /// They apply to calls with more than this number of input tokens
    #[arg(long, value_name = "TOKENS", default_value_t = 0)]
    above: u64,
    #[command(flatten)]
    file: BookArgs,
}

impl Group {
    pub(crate) async fn run(self, cx: &Context) -> Result<(), CliError> {
        match self {
            Self::Import(import) => import.run(cx).await,
            Self::List { model, file } => {
                let book = file.to_read(cx).await?.read().await?;
                let begins = |row: &&Price| model.as_ref().is_none_or(|model| row.model.starts_with(model));
                cx.output()
                    .show(&ListedPrices { prices: book.rows().iter().filter(begins).map(PriceRow::of).collect() })
            }
            Self::Diff { other, file, detailed_exitcode } => {
                let told = changes(&file.to_read(cx).await?.read().await?, &BookPlace::File(other).read().await?);
                let differ = !told.changes.is_empty();
                cx.output().show(&told)?;
                if differ && detailed_exitcode { Err(CliError::Differences) } else { Ok(()) }
            }
            Self::Set(set) => set.run(cx).await,
        }
    }
}

impl Import {
    async fn run(self, cx: &Context) -> Result<(), CliError> {
        let imported = match (self.origin, &self.path) {
            (Origin::Bundled, _) => PriceBook::bundled(),
            (Origin::Table, _) => BookPlace::Table(cx.repository(&self.file.namespace).await?).read().await?,
            (_, None) => return Err(CliError::Usage("name the file to take prices from".to_owned())),
            (origin, Some(path)) => self.imported(origin, path)?,
        };
        cx.output().show(&self.file.to_write(cx).await?.set(&imported).await?)
    }

    /// Reads the file as `origin` writes it; its rows name the file and today as their source.
    fn imported(&self, origin: Origin, path: &Path) -> Result<PriceBook, CliError> {
        let text = fs::read(path).map_err(|error| cannot("read", path, error))?;
        let source = format!("{}, {}", path.display(), Timestamp::now().strftime("%F"));
        let providers: Vec<&str> = self.providers.iter().map(String::as_str).collect();
        let book = match origin {
            Origin::Litellm => PriceBook::from_litellm(&text, &source),
            Origin::ModelsDev => PriceBook::from_models_dev(&text, &providers, &source),
            Origin::Book | Origin::Table | Origin::Bundled => return parse(path, &text),
        };
        book.map_err(|error| cannot("read", path, error))
    }
}

impl SetPrices {
    async fn run(self, cx: &Context) -> Result<(), CliError> {
        // Uses the parser of files, so that a price means the same in both.
        let mut prices = [serde_json::Map::new(), serde_json::Map::new()];
        for price in &self.prices {
            let wrong = || CliError::Invalid(format!("a price is KIND=DOLLARS, not '{price}'"));
            let (kind, dollars) = price.split_once('=').ok_or_else(wrong)?;
            let dollars: f64 = dollars.parse().map_err(|_| wrong())?;
            let each = PriceKind::named(kind).is_some_and(|kind| !kind.is_token());
            prices[usize::from(each)].insert(kind.to_owned(), dollars.into());
        }
        let [per_million, each] = prices;
        let row = serde_json::json!({
            "model": self.model, "source": self.source, "valid_from": self.from_date, "above": self.above,
            "per_million": per_million, "each": each,
        });
        let text = serde_json::json!({ "models": [row] }).to_string();
        let set = PriceBook::from_json(text.as_bytes()).map_err(|error| match error {
            BookError::Row { problem, .. } => CliError::Invalid(problem),
            error => CliError::Invalid(error.to_string()),
        })?;
        cx.output().show(&self.file.to_write(cx).await?.set(&set).await?)
    }
}
