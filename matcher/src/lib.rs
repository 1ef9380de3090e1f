//! Events to matches: worker, recorder, migrations.
