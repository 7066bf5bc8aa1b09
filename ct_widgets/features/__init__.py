"""What features mean: the text they are active on, the tokens they promote, their labels.

Names load when first used: a store opens without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ct_widgets.lazy import lazy

if TYPE_CHECKING:
    from ct_widgets.features.catalog import Feature as Feature
    from ct_widgets.features.catalog import Features as Features
    from ct_widgets.features.collect import collect_features as collect_features
    from ct_widgets.features.feature_json import (
        read_feature_json as read_feature_json,
    )
    from ct_widgets.features.feature_json import (
        write_feature_json as write_feature_json,
    )
    from ct_widgets.features.labeller import Labeller as Labeller
    from ct_widgets.features.labels import Label as Label
    from ct_widgets.features.store import (
        Example as Example,
    )
    from ct_widgets.features.store import (
        FeatureRecord as FeatureRecord,
    )
    from ct_widgets.features.store import (
        FeatureStore as FeatureStore,
    )
    from ct_widgets.features.store import (
        Section as Section,
    )

_NAMES = {
    "catalog": ("Feature", "Features"),
    "collect": ("collect_features",),
    "feature_json": ("read_feature_json", "write_feature_json"),
    "labeller": ("Labeller",),
    "labels": ("Label",),
    "store": ("Example", "FeatureRecord", "FeatureStore", "Section"),
}

__all__ = [name for names in _NAMES.values() for name in names]  # pyright: ignore[reportUnsupportedDunderAll]

__getattr__, __dir__ = lazy(__name__, _NAMES)
