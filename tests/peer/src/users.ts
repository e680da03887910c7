// Registration and rename, each told to the feed. Registration hashes no password: only renames are measured.
import { Body, Controller, Param, Patch, Post, UseGuards } from "@nestjs/common";
import { randomUUID } from "node:crypto";
import { AdminGuard } from "./auth.js";
import { Feed } from "./feed.js";
import { type User, Users } from "./store.js";

@Controller("users")
export class UsersController {
  constructor(
    private readonly users: Users,
    private readonly feed: Feed,
  ) {}

  @Post("register")
  async register(@Body() { password, ...form }: Record<string, unknown> & { fullName: string }) {
    const now = new Date().toISOString();
    const user: User = { id: randomUUID(), ...form, isBanned: false, createdAt: now, updatedAt: now };
    await this.users.add(user);
    this.feed.tell("users.created", user);
    return { user };
  }

  @Patch(":id")
  @UseGuards(AdminGuard)
  async rename(@Param("id") id: string, @Body() { fullName }: { fullName: string }) {
    const user = await this.users.rename(id, fullName);
    this.feed.tell("users.updated", user);
    return { user };
  }
}
