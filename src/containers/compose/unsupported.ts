/** Keys of the Compose specification that are not supported, and what to do instead. */

const noNetworks = 'services find each other by x-flocker: { links: [...] }, over routes'
const noFiles = 'what is on a host stays there; use a volume, or the environment'
const noFragments = 'write it out, or use YAML anchors'

/** By key of a service. */
export const serviceHints: Readonly<Record<string, string>> = {
  build: 'images are not built here; name one with image',
  configs: noFiles,
  container_name: 'the container has the name of the service',
  depends_on: 'applications are started in no order, on several hosts; let a program wait for what it needs',
  env_file: 'write the variables into environment; a name without a value takes it from outside',
  expose: 'say ports',
  extends: noFragments,
  external_links: noNetworks,
  links: noNetworks,
  networks: noNetworks,
  pre_stop: 'x-flocker: { beforeStop: [...] } is run before a move',
  profiles: 'all services of a file are deployed',
  scale: 'an application runs once',
  secrets: noFiles,
}

/** By key at the top. */
export const topHints: Readonly<Record<string, string>> = {
  configs: noFiles,
  include: noFragments,
  networks: noNetworks,
  secrets: noFiles,
  'x-flocker': 'it belongs into a service, or into a volume',
}

/** By key of a volume. */
export const volumeHints: Readonly<Record<string, string>> = {
  driver: 'volumes are datasets of ZFS',
  driver_opts: 'x-flocker: { properties: {...} } has the properties of ZFS',
  labels: 'say x-flocker: { metadata: {...} }',
}

/** The keys that a service may have, so that a misspelt one is told from one that is not supported. */
export const serviceKeys: ReadonlySet<string> = new Set(
  `annotations attach blkio_config build cap_add cap_drop cgroup cgroup_parent command configs container_name cpu_count cpu_percent
  cpu_period cpu_quota cpu_rt_period cpu_rt_runtime cpu_shares cpus cpuset credential_spec depends_on deploy develop
  device_cgroup_rules devices dns dns_opt dns_search domainname entrypoint env_file environment expose extends external_links
  extra_hosts gpus group_add healthcheck hostname image init ipc isolation label_file labels links logging mac_address mem_limit
  mem_reservation mem_swappiness memswap_limit models network_mode networks oom_kill_disable oom_score_adj pid pids_limit platform
  ports post_start pre_stop privileged profiles provider pull_policy pull_refresh_after read_only restart runtime scale secrets
  security_opt shm_size stdin_open stop_grace_period stop_signal storage_opt sysctls tmpfs tty ulimits use_api_socket user
  userns_mode uts volumes volumes_from working_dir`.split(/\s+/),
)
