-- What runs used and what it cost. Written once, never changed: erasing a run empties `label` and `metadata`, retention deletes the rows.
-- Money and quantities are numeric: sums stay exact.
create table tidebase.usage (
  run_id uuid not null,
  seq bigint not null,
  at timestamptz not null,
  kind text collate "C" not null,
  provider text collate "C",
  model text collate "C",
  label text collate "C",
  quantity numeric,
  unit text collate "C",
  input_tokens bigint,
  output_tokens bigint,
  total_tokens bigint,
  cost_usd numeric,
  metadata text,
  write_key text,
  primary key (run_id, seq)
);
create unique index usage_write_key on tidebase.usage (run_id, write_key) where write_key is not null;

-- Totals over all runs are asked by time range.
create index usage_at on tidebase.usage (at);

create view tidebase.usage_view as
  select 'run_' || u.run_id as run_id, r.workflow, u.seq, u.at, u.kind, u.provider, u.model, u.label, u.quantity, u.unit,
    u.input_tokens, u.output_tokens, u.total_tokens, u.cost_usd, u.metadata
    from tidebase.usage u left join tidebase.runs r using (run_id);
