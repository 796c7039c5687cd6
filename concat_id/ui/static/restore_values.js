(kept, ...values) => kept && !new URLSearchParams(location.search).has('run') ? kept : values
