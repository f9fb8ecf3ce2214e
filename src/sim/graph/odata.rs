//! The little of OData that is needed: `$select`, and `$filter` with `eq`, `and`, `or`.

use serde_json::{Map, Value};

/// One comparison `property eq literal`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Comparison {
    pub(super) property: String,
    /// The text of the literal without its quotes.
    pub(super) literal: String,
}

/// Comparisons joined by `word`; `None`: something else is in it.
pub(super) fn comparisons(filter: &str, word: &str) -> Option<Vec<Comparison>> {
    filter.split(&format!(" {word} ")).map(comparison).collect()
}

fn comparison(text: &str) -> Option<Comparison> {
    let (property, literal) = text.trim().split_once(" eq ")?;
    let literal = literal.trim();
    let quoted = literal.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    let bare = || (!literal.contains(['\'', ' '])).then_some(literal);
    let literal = quoted.map(|text| text.replace("''", "'")).or_else(|| bare().map(str::to_owned))?;
    Some(Comparison { property: property.trim().to_owned(), literal })
}

/// Whether a property of an item equals a literal; words of enumerations and ids compare in either case.
pub(super) fn equals(item: &Value, comparison: &Comparison) -> bool {
    match &item[comparison.property.as_str()] {
        Value::String(text) => text.eq_ignore_ascii_case(&comparison.literal),
        Value::Bool(flag) => comparison.literal == flag.to_string(),
        Value::Null => comparison.literal == "null",
        _ => false,
    }
}

/// The selected properties; `id` always stays. `Err` names a property that does not exist.
pub(super) fn select(select: Option<&str>, known: &[&str]) -> Result<Option<Vec<String>>, String> {
    let Some(select) = select else { return Ok(None) };
    let mut names: Vec<String> = select.split(',').map(|name| name.trim().to_owned()).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(unknown.clone());
    }
    names.push("id".to_owned());
    Ok(Some(names))
}

/// Drops the properties that were not selected.
pub(super) fn project(item: Value, selected: Option<&[String]>) -> Value {
    let (Value::Object(fields), Some(selected)) = (&item, selected) else { return item };
    let kept = fields.iter().filter(|(name, _)| name.starts_with('@') || selected.contains(name));
    Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn comparisons_are_read_with_quotes_and_without() {
        let read = comparisons("numberType eq 'DirectRouting' and accountEnabled eq true", "and").unwrap();
        assert_eq!(read[0], Comparison { property: "numberType".into(), literal: "DirectRouting".into() });
        assert!(equals(&json!({"numberType": "directRouting"}), &read[0]));
        assert!(equals(&json!({"accountEnabled": true}), &read[1]));
        assert!(comparisons("startsWith(mail,'a')", "and").is_none());
    }

    #[test]
    fn an_unknown_property_is_not_selected() {
        assert_eq!(select(Some("id,frob"), &["id", "mail"]), Err("frob".to_owned()));
        let selected = select(Some("mail"), &["id", "mail"]).unwrap();
        let item = project(json!({"id": "1", "mail": "m", "x": 1}), selected.as_deref());
        assert_eq!(item, json!({"id": "1", "mail": "m"}));
    }
}
