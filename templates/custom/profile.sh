# What the service's programs see, shells see as well.
[ ! -f /home/dotcloud/profile ] || . /home/dotcloud/profile
