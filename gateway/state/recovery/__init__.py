"""Go on when the store or the machine is not the one before: damaged, lost, older, cloned; backups and the copy of identities."""
