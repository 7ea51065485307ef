/**
 * What the server is started with: small, local, and durable. Settings are given at start rather than
 * written into the cluster, so that a newer program brings its own.
 */
export function serverSettings(
  major: number,
  changes: Readonly<Record<string, string>>,
): Record<string, string> {
  return {
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "", // no faster here, and limited in length and to some file systems
    // The package may be removed while the server runs: what every backend needs is loaded now.
    shared_preload_libraries: "plpgsql",
    max_connections: "200",
    shared_buffers: "32MB",
    huge_pages: "off",
    jit: "off",
    wal_level: "minimal",
    max_wal_senders: "0",
    max_wal_size: "512MB",
    max_worker_processes: "2",
    max_parallel_workers: "0",
    max_logical_replication_workers: "0",
    autovacuum_max_workers: "2",
    log_checkpoints: "off",
    timezone: "UTC",
    log_timezone: "UTC",
    ...(major >= 18 ? { io_method: "sync", autovacuum_worker_slots: "2" } : {}),
    ...changes,
  };
}
