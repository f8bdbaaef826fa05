variables {
  site_name = "Test \"Hospital\""
  region    = "Europe/Zurich"
  peers = {
    pacs = { roles = ["source", "results"], ae_title = "ORTHANC", host = "127.0.0.1", port = 4242 }
  }
}

run "renders_settings_and_units" {
  command = plan

  assert {
    condition     = strcontains(output.radloop_toml, "[peers.pacs]") && strcontains(output.radloop_toml, "port = 4242")
    error_message = "The peer is missing from radloop.toml."
  }

  assert {
    condition     = !strcontains(output.radloop_toml, "null") && strcontains(output.radloop_toml, "Test \\\"Hospital\\\"")
    error_message = "radloop.toml holds a null or an unescaped quote."
  }

  assert {
    condition     = toset(keys(output.units)) == toset(["radloop.service", "radloop-init.service", "radloop-audit.service", "radloop-audit.timer"])
    error_message = "The set of units is not the expected one."
  }

  assert {
    condition = alltrue([
      for name, unit in output.units : !endswith(name, ".service") || (
        strcontains(unit, "NoNewPrivileges=yes") && strcontains(unit, "ProtectSystem=strict") && strcontains(unit, "User=radloop")
      )
    ])
    error_message = "A service runs outside its sandbox."
  }

  assert {
    condition     = strcontains(output.units["radloop.service"], "CapabilityBoundingSet=\n")
    error_message = "A service that listens on high ports has a capability."
  }
}

run "a_low_port_takes_one_capability" {
  command = plan
  variables {
    ports = { dicom = 104 }
  }

  assert {
    condition     = strcontains(output.units["radloop.service"], "CapabilityBoundingSet=CAP_NET_BIND_SERVICE\n")
    error_message = "Port 104 cannot be bound."
  }
}

run "the_state_holds_what_the_machine_should_hold" {
  command = apply

  assert {
    condition     = output.digests.settings == sha256(output.radloop_toml)
    error_message = "The digest is not of radloop.toml."
  }
}

run "refuses_a_long_ae_title" {
  command = plan
  variables {
    ae_title = "SEVENTEEN_LETTERS"
  }
  expect_failures = [var.ae_title]
}

run "refuses_a_peer_without_an_address" {
  command = plan
  variables {
    peers = { pacs = { roles = ["results"], ae_title = "ORTHANC" } }
  }
  expect_failures = [var.peers]
}

run "refuses_an_unknown_role" {
  command = plan
  variables {
    peers = { pacs = { roles = ["boss"] } }
  }
  expect_failures = [var.peers]
}

run "refuses_a_port_out_of_range" {
  command = plan
  variables {
    ports = { hl7 = 70000 }
  }
  expect_failures = [var.ports]
}

run "refuses_two_processes_on_one_port" {
  command = plan
  variables {
    ports = { hl7 = 11112 }
  }
  expect_failures = [terraform_data.machine]
}

run "refuses_storage_that_the_units_may_not_see" {
  command = plan
  variables {
    storage_path = "/home/radloop/store"
  }
  expect_failures = [var.storage_path]
}

run "refuses_a_region_that_is_none" {
  command = plan
  variables {
    region = "moon"
  }
  expect_failures = [var.region]
}

run "refuses_a_password_in_the_ledger_url" {
  command = plan
  variables {
    ledger_url = "postgresql+psycopg://radloop:secret@db/radloop"
  }
  expect_failures = [var.ledger_url]
}

run "refuses_to_run_as_root" {
  command = plan
  variables {
    user = "root"
  }
  expect_failures = [var.user]
}
