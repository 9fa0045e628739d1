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
    book::{cannot, parse, read},
    rows::{ListedPrices, PriceRow, changes},
};
use super::{CliError, Context};

/// The price book: a file of JSON or YAML that programs charge money by.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Programs read the file with `Prices::from_file` and can reload it, so changes need no restart.

Examples:
  zae-deploy prices import --from litellm model_prices_and_context_window.json
  zae-deploy prices set gpt-5 --price input=1.25 --price output=10 --source us
  zae-deploy prices list gpt-5")]
pub(crate) enum Group {
    /// Take prices from LiteLLM's map, from models.dev, or from another book
    #[command(after_help = "\
Examples:
  zae-deploy prices import --from litellm model_prices_and_context_window.json
  zae-deploy prices import --from models-dev api.json --provider openai
  zae-deploy prices import --from bundled")]
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
  zae-deploy prices diff new.json --file prices.json --detailed-exitcode")]
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
    /// The few prices bundled with this program
    Bundled,
}

#[derive(Args, Debug)]
pub(crate) struct Import {
    /// The file with the prices; not needed for the bundled ones
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
    pub(crate) fn run(self, cx: &Context) -> Result<(), CliError> {
        match self {
            Self::Import(import) => import.run(cx),
            Self::List { model, file } => {
                let book = read(&file.file)?;
                let begins = |row: &&Price| model.as_ref().is_none_or(|model| row.model.starts_with(model));
                cx.output()
                    .show(&ListedPrices { prices: book.rows().iter().filter(begins).map(PriceRow::of).collect() })
            }
            Self::Diff { other, file, detailed_exitcode } => {
                let told = changes(&read(&file.file)?, &read(&other)?);
                let differ = !told.changes.is_empty();
                cx.output().show(&told)?;
                if differ && detailed_exitcode { Err(CliError::Differences) } else { Ok(()) }
            }
            Self::Set(set) => set.run(cx),
        }
    }
}

impl Import {
    fn run(self, cx: &Context) -> Result<(), CliError> {
        let imported = match (self.origin, &self.path) {
            (Origin::Bundled, _) => PriceBook::bundled(),
            (_, None) => return Err(CliError::Usage("name the file to take prices from".to_owned())),
            (origin, Some(path)) => self.imported(origin, path)?,
        };
        cx.output().show(&book::set(&self.file.file, &imported)?)
    }

    /// Reads the file as `origin` writes it; its rows name the file and today as their source.
    fn imported(&self, origin: Origin, path: &Path) -> Result<PriceBook, CliError> {
        let text = fs::read(path).map_err(|error| cannot("read", path, error))?;
        let source = format!("{}, {}", path.display(), Timestamp::now().strftime("%F"));
        let providers: Vec<&str> = self.providers.iter().map(String::as_str).collect();
        let book = match origin {
            Origin::Litellm => PriceBook::from_litellm(&text, &source),
            Origin::ModelsDev => PriceBook::from_models_dev(&text, &providers, &source),
            Origin::Book | Origin::Bundled => return parse(path, &text),
        };
        book.map_err(|error| cannot("read", path, error))
    }
}

impl SetPrices {
    fn run(self, cx: &Context) -> Result<(), CliError> {
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
        cx.output().show(&book::set(&self.file.file, &set)?)
    }
}
