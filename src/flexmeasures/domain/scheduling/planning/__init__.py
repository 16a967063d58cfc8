"""From what is known of assets and sites to plans with their value and reasons. Nothing here reads or stores."""
