"""Small datasets for tests."""

import datasets


def table(**columns):
    """A dataset; a column is values, or (values, feature)."""
    features = {name: column[1] for name, column in columns.items() if isinstance(column, tuple)}
    values = {name: column[0] if isinstance(column, tuple) else column for name, column in columns.items()}
    dataset = datasets.Dataset.from_dict(values)
    for name, feature in features.items():
        dataset = dataset.cast_column(name, feature)
    return dataset
